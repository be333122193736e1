//! A barrier that costs the frequent side nothing: the rare side makes every thread of the process
//! pass a full one (Linux's `membarrier`).

pub(crate) use imp::{heavy, light, register};

#[cfg(all(target_os = "linux", not(loom)))]
mod imp {
    use rustix::thread::{MembarrierCommand, membarrier};
    use std::sync::atomic::{Ordering, compiler_fence};

    /// Asks for the barrier; false where there is none. To be called before the first use, any
    /// number of times.
    pub(crate) fn register() -> bool {
        // Also refused in some sandboxes.
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }

    /// The side that pays: some microseconds.
    pub(crate) fn heavy() {
        membarrier(MembarrierCommand::PrivateExpedited)
            .expect("invariant: the process is registered, and stays so");
    }

    /// The side that does not: between a store and a load that must not be seen the other way round.
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }
}

#[cfg(any(not(target_os = "linux"), loom))]
mod imp {
    #[cfg(loom)]
    use loom::sync::atomic::{Ordering, fence};
    #[cfg(not(loom))]
    use std::sync::atomic::{Ordering, fence};

    /// Under the model checker it is two plain fences; on other systems it is not used.
    pub(crate) fn register() -> bool {
        cfg!(loom)
    }

    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
    }

    #[inline(always)]
    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }
}
