//! Two that make the value, and one that looks.

use loom::sync::Arc;
use loom::thread;

use super::Lazy;

#[test]
fn loom_two_that_make_it_get_the_same_and_a_third_sees_it_whole_or_not_at_all() {
    loom::model(|| {
        let lazy = Arc::new(Lazy::<[u32; 2]>::new());
        let others: Vec<_> = (1..3)
            .map(|n| {
                let other = lazy.clone();
                thread::spawn(move || *other.get_or_init(|| [n, n]))
            })
            .collect();
        if let Some(seen) = lazy.get() {
            assert_eq!(seen[0], seen[1]);
        }
        let got: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
        assert_eq!(got[0], got[1]);
        assert_eq!(lazy.get(), Some(&got[0]));
    });
}
