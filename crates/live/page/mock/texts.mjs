// Documents for the mock.

export const REPORT = [
  ["Observatory log, winter run", 1, `# Observatory log, winter run

This report collects what the six-week run on the north ridge showed, and what we would do differently. It is written by four people and three agents at the same time; every section says who holds it.
`],
  ["Summary", 2, `## Summary

The array stayed up for **39 of 42 nights**. Two nights were lost to ice on the east mirror and one to a power cut that lasted longer than the batteries. Seeing was better than forecast: a median of 1.1 arcseconds against the expected 1.4.
`],
  ["Method", 2, `## Method

1. Calibrate against the standard fields at dusk and at dawn.
2. Take 90-second exposures, five per field, dithered by 4 arcseconds.
3. Reduce on the ridge; send only the reduced frames down the link.

> Raw frames are kept on disk until the next run and are never sent over the radio link.
`],
  ["Weather and seeing", 2, `## Weather and seeing

Wind came from the north-west on most nights, between 3 and 9 m/s. Above 11 m/s the dome closes by itself; this happened on *four* evenings, for 50 minutes on average.
`],
  ["Instruments", 2, `## Instruments

| Unit | Focus | Notes |
|------|-------|-------|
| East | stable | mirror iced twice |
| West | drifts 12 µm per hour | new encoder ordered |

The west unit needs \`focus --refit\` after every slew of more than 40 degrees.
`],
  ["Data and access", 2, `## Data and access

Reduced frames are in the shared archive under \`ridge/winter\`. Ask [the archive desk](https://example.org/desk) for raw frames.
`],
  ["Open questions", 2, `## Open questions

- Does the focus drift follow temperature, or the time since the last slew?
- Should the batteries carry one night or two?
`],
].map(([title, level, text]) => ({ title, level, text }));

/** A long document: `n` sections of some 1.5 kB. */
export const long = (n) =>
  Array.from({ length: n }, (_, i) => ({
    title: `Station ${i + 1}`,
    level: 2,
    text: `## Station ${i + 1}\n\n${"The reading was taken at dusk and again at dawn; both agree within the error of the gauge. ".repeat(16)}\n`,
  }));
