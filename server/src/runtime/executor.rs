//! One pinned thread per core, each running one glommio executor with one main task.

use super::patience::{is_out_of_memory, patiently};
use super::reactor::Reactor;
use glommio::{LocalExecutorBuilder, Placement};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

/// Memory glommio registers for its own I/O, in bytes. We use none of it.
const IO_MEMORY: usize = 64 << 10;
/// How often glommio looks at its own rings. Serving cores have nothing in them.
const PREEMPT_PERIOD: Duration = Duration::from_secs(1);

/// Starts the thread of core `index` pinned to `cpu`; `main` makes its main task, on that thread. `started` hears
/// whether the core has got the rings it needs; without them its thread ends.
///
/// # Errors
/// If the thread cannot be made.
pub fn spawn_core<F>(
    index: usize,
    cpu: usize,
    started: Sender<io::Result<()>>,
    main: impl FnOnce(Rc<Reactor>) -> F + Send + 'static,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()> + 'static,
{
    let name = format!("core-{index}");
    std::thread::Builder::new().name(name.clone()).spawn(move || {
        let made = patiently(is_out_of_memory, || {
            let executor = LocalExecutorBuilder::new(Placement::Fixed(cpu))
                .name(&name)
                .io_memory(IO_MEMORY)
                .preempt_timer(PREEMPT_PERIOD)
                .make()?;
            Ok((executor, Reactor::new()?))
        });
        let (told, core) = match made {
            Ok(core) => (Ok(()), Some(core)),
            Err(error) => (Err(error), None),
        };
        // Nobody listens any more if another core has failed to start: then the process ends.
        let _ = started.send(told);
        if let Some((executor, reactor)) = core {
            executor.run(main(reactor));
        }
    })
}

/// Runs what would block a core on a thread of its own.
///
/// # Panics
/// If the system has no thread left.
pub fn spawn_aside(name: &str, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    let _detached = thread.expect("the system has a thread left");
}

/// Starts a task on this core.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(task).detach();
}

/// Lets every task that is ready run once before going on.
pub async fn yield_now() {
    futures_lite::future::yield_now().await;
}
