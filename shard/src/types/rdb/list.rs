//! Lists as RDB bytes: nodes that are listpacks, or one large element; of older servers also ziplists and plain runs.

use super::{check_filled, for_each_in_listpack, for_each_in_ziplist};
use crate::options::Options;
use crate::types::list::{Element, End, List, ListLimit};
use crate::value::{Typed, Value};
use persistence::rdb::listpack::Builder;
use persistence::rdb::opcode::{NODE_PACKED, NODE_PLAIN};
use persistence::rdb::{RdbError, Reader, ValueType, Writer};
use std::ops::Deref;

/// Most bytes of a node with several elements: what Redis allows by default (`list-max-listpack-size -2`). A reader
/// takes nodes of any size.
const NODE_SIZE_MAX: usize = 8 << 10;
/// Smallest element that is a node of its own without a listpack around it, in bytes. Redis's default.
const PLAIN_LEN_MIN: usize = 1 << 30;
/// Most that an element's head and tail take in a listpack.
const ELEMENT_OVERHEAD_MAX: usize = 10;

/// One node; `T` is the text of an element.
enum Node<T> {
    Packed(Vec<u8>),
    Plain(T),
}

/// Writes a list as nodes: as one if its form is the small one.
pub(super) fn save(list: &List, writer: &mut Writer<'_>) {
    let size_max = if list.encoding() == "listpack" { usize::MAX } else { NODE_SIZE_MAX };
    let nodes = nodes(list.iter().map(Element::text), size_max, PLAIN_LEN_MIN);
    writer.length(nodes.len() as u64);
    for node in nodes {
        match node {
            Node::Packed(listpack) => {
                writer.length(NODE_PACKED);
                writer.string(&listpack);
            }
            Node::Plain(element) => {
                writer.length(NODE_PLAIN);
                writer.string(&element);
            }
        }
    }
}

/// Cuts elements into nodes of about `size_max` bytes; elements from `plain_len_min` on get a node of their own.
fn nodes<T: Deref<Target = [u8]>>(
    elements: impl Iterator<Item = T>,
    size_max: usize,
    plain_len_min: usize,
) -> Vec<Node<T>> {
    let mut nodes = Vec::new();
    let mut packed = Builder::default();
    for element in elements {
        let is_plain = element.len() >= plain_len_min;
        let size = packed.size().saturating_add(element.len() + ELEMENT_OVERHEAD_MAX);
        if !packed.is_empty() && (is_plain || size > size_max) {
            nodes.push(Node::Packed(std::mem::take(&mut packed).finish()));
        }
        if is_plain {
            nodes.push(Node::Plain(element));
        } else {
            packed.push(&element);
        }
    }
    if !packed.is_empty() {
        nodes.push(Node::Packed(packed.finish()));
    }
    nodes
}

/// Reads a list of any of its types.
pub(super) fn load(
    value_type: ValueType,
    reader: &mut Reader<'_>,
    options: &Options,
) -> Result<Value, RdbError> {
    let mut list = Filling { list: List::default(), limit: ListLimit::from(options) };
    match value_type {
        ValueType::List => {
            for _ in 0..reader.count()? {
                list.push(&reader.string()?);
            }
        }
        ValueType::ListZiplist => {
            list.enlarge(); // Redis leaves it so, however small it is
            list.push_ziplist(reader)?;
        }
        _ => {
            let mut node_count = 0;
            for _ in 0..reader.count()? {
                let len = list.list.len();
                list.push_node(value_type, reader)?;
                node_count += usize::from(list.list.len() > len);
                if node_count == 2 {
                    list.enlarge();
                }
            }
        }
    }
    check_filled(list.list.is_empty(), reader)?;
    Ok(list.finish().into_value())
}

/// A list that is being read.
struct Filling {
    list: List,
    limit: ListLimit,
}

impl Filling {
    fn push(&mut self, element: &[u8]) {
        self.list.prepare(1, element.len(), self.limit);
        self.list.push(End::Right, element);
    }

    fn push_ziplist(&mut self, reader: &mut Reader<'_>) -> Result<(), RdbError> {
        for_each_in_ziplist(reader, |element| {
            self.push(&element.to_text());
            Ok(())
        })
    }

    fn push_node(
        &mut self,
        value_type: ValueType,
        reader: &mut Reader<'_>,
    ) -> Result<(), RdbError> {
        if value_type == ValueType::ListQuicklist {
            return self.push_ziplist(reader);
        }
        match reader.length()? {
            NODE_PACKED => for_each_in_listpack(reader, |element| {
                self.push(&element.to_text());
                Ok(())
            }),
            NODE_PLAIN => {
                let element = reader.string()?;
                if element.is_empty() {
                    return Err(reader.damaged("an empty node"));
                }
                self.enlarge();
                self.push(&element);
                Ok(())
            }
            _ => Err(reader.damaged("a node of an unknown form")),
        }
    }

    /// Goes over to the large form: several nodes are a `quicklist`, even if they would fit into one.
    fn enlarge(&mut self) {
        self.list.prepare(1, usize::MAX / 2, self.limit);
    }

    /// The list. Its size is known only now, and may be just over the threshold.
    fn finish(mut self) -> List {
        self.list.prepare(0, 0, self.limit);
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use persistence::rdb::Compression;
    use persistence::rdb::listpack::Listpack;

    fn parts(node: &Node<&[u8]>) -> (usize, usize) {
        match node {
            Node::Packed(bytes) => (Listpack::parse(bytes).unwrap().len(), bytes.len()),
            Node::Plain(element) => (0, element.len()),
        }
    }

    #[test]
    fn elements_are_cut_into_nodes() {
        let long = [b'x'; 60];
        let elements: [&[u8]; 6] = [b"1", b"2", &long, b"3", b"4", b"5"];
        let packed = nodes(elements.into_iter(), 75, usize::MAX);
        assert_eq!(packed.iter().map(parts).collect::<Vec<_>>(), [(2, 11), (1, 69), (3, 13)]);
        let plain = nodes(elements.into_iter(), 75, 60);
        assert_eq!(plain.iter().map(parts).collect::<Vec<_>>(), [(2, 11), (0, 60), (3, 13)]);
        assert_eq!(nodes(elements.into_iter(), usize::MAX, usize::MAX).len(), 1);
    }

    #[test]
    fn several_nodes_are_a_quicklist_and_one_is_what_fits() {
        let load_nodes = |nodes: &[Node<&[u8]>], options: &Options| {
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes, Compression::Lzf);
            writer.length(nodes.len() as u64);
            for node in nodes {
                match node {
                    Node::Packed(listpack) => {
                        writer.length(NODE_PACKED);
                        writer.string(listpack);
                    }
                    Node::Plain(element) => {
                        writer.length(NODE_PLAIN);
                        writer.string(element);
                    }
                }
            }
            load(ValueType::ListQuicklist2, &mut Reader::new(&bytes), options)
        };
        let packed =
            |texts: &[&[u8]]| Node::Packed(persistence::rdb::listpack::of(texts.iter().copied()));
        let usual = Options::default();
        let one = load_nodes(&[packed(&[b"a", b"b"])], &usual).unwrap();
        assert_eq!(one.view().encoding(), "listpack");
        let two = load_nodes(&[packed(&[b"a"]), packed(&[b"b"])], &usual).unwrap();
        assert_eq!(two.view().encoding(), "quicklist");
        assert_eq!(one, two);
        let with_empty = load_nodes(&[packed(&[]), packed(&[b"a", b"b"])], &usual).unwrap();
        assert_eq!(with_empty.view().encoding(), "listpack");
        assert_eq!(
            load_nodes(&[Node::Plain(b"a")], &usual).unwrap().view().encoding(),
            "quicklist"
        );
        let narrow = Options { list_max_listpack_size: 1, ..Options::default() };
        assert_eq!(
            load_nodes(&[packed(&[b"a", b"b"])], &narrow).unwrap().view().encoding(),
            "quicklist"
        );
        assert!(load_nodes(&[packed(&[])], &usual).is_err());
        assert!(load_nodes(&[Node::Plain(b"")], &usual).is_err());
        assert!(load_nodes(&[], &usual).is_err());
    }
}
