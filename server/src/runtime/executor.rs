//! One pinned thread per core, each running one glommio executor with one main task.

use glommio::{LocalExecutorBuilder, Placement};
use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

/// Memory glommio registers for its own I/O, in bytes. We use none of it.
const IO_MEMORY: usize = 64 << 10;
/// How often glommio looks at its own rings. Serving cores have nothing in them.
const PREEMPT_PERIOD: Duration = Duration::from_secs(1);

/// Starts the thread of core `index` pinned to `cpu`; `main` makes its main task, on that thread.
///
/// # Errors
/// If the thread or its executor cannot be made.
pub fn spawn_core<F>(
    index: usize,
    cpu: usize,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()> + 'static,
{
    std::thread::Builder::new().name(format!("core-{index}")).spawn(move || {
        let executor = LocalExecutorBuilder::new(Placement::Fixed(cpu))
            .name(&format!("core-{index}"))
            .io_memory(IO_MEMORY)
            .preempt_timer(PREEMPT_PERIOD)
            .make()
            .expect("probed: io_uring and locked memory are available");
        executor.run(main());
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
