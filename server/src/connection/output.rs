//! Limits on replies that wait for a slow client (`client-output-buffer-limit`).

use crate::clients::ClientFlags;
use crate::core::Core;
use crate::peer::{Close, Peer};
use std::sync::atomic::Ordering;

/// Closes a client whose unsent output exceeds the hard limit of its class, or the soft one for too long.
///
/// Called whenever output is added, so a client that never reads costs bounded memory.
pub fn check_limit(core: &Core, peer: &Peer, unsent_len: usize) {
    peer.client.output_len.store(unsent_len, Ordering::Relaxed);
    let settings = core.settings();
    let limit = match peer.client.has_flag(ClientFlags::PUBSUB) {
        true => &settings.output_limit_pubsub,
        false => &settings.output_limit_normal,
    };
    let unsent = unsent_len as u64;
    let is_over_hard = limit.hard_bytes > 0 && unsent >= limit.hard_bytes;
    let is_over_soft = limit.soft_bytes > 0 && unsent >= limit.soft_bytes;
    let now_ms = core.now().unix_ms();
    let since_ms = match (is_over_soft, peer.over_soft_limit_since_ms.get()) {
        (false, _) => 0,
        (true, 0) => now_ms,
        (true, since_ms) => since_ms,
    };
    peer.over_soft_limit_since_ms.set(since_ms);
    let is_soft_over = is_over_soft && now_ms - since_ms > limit.soft_seconds as i64 * 1000;
    if is_over_hard || is_soft_over {
        tracing::warn!(
            client = peer.client.id,
            unsent,
            "closing a client that does not read its output (client-output-buffer-limit)"
        );
        core.close_peer(peer, Close::Now);
    }
}
