"""Make drums, bass and chords that play together, and mix them by hand."""

import numpy as np

import loopwright

with loopwright.Loopwright(model="pocket") as loops:
    mix, *parts = loops.generate_all(
        "deep house 122bpm", kind="stack", parts=["drums", "bass", "chords"], key="F#m", bars=2
    )

mix.save("mix.wav")
for part in parts:
    part.save(f"{part.part}.wav")

# all parts have the same length, so that sums of them are loops too
quiet_drums = np.stack([part.audio * (0.5 if part.part == "drums" else 1) for part in parts])
print(f"{quiet_drums.sum(0).shape[1]} samples, as long as each part")
