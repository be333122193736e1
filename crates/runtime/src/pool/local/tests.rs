use super::*;

#[test]
fn another_core_is_called_for_dear_turns_soon_and_for_cheap_ones_late() {
    for (len, turn_cost_ns, expected) in [
        (0, 1_000_000, false),
        (1, 50_000, false),
        (1, 50_001, true),
        (100, 500, false),
        (101, 500, true),
        // Broadcast to a thousand agents that do next to nothing.
        (1_000, 150, false),
        (2_000, 499, false),
        (10_000, 150, true),
    ] {
        assert_eq!(is_worth_a_wake(len, turn_cost_ns), expected, "{len} of {turn_cost_ns} ns");
    }
}
