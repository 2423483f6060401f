"""Keep a model loaded, and make versions of a loop in another style."""

import loopwright

with loopwright.Loopwright(model="pocket") as loops:
    drums = loops.generate("techno drums 140bpm", bars=2, seed=7)
    drums.save("drums.wav")

    # `audio` may be a file, an array with its rate, or a loop made before; 0.1 stays close to it
    dark = loops.generate("dark dub drums 140bpm", bars=2, audio="drums.wav", style_strength=0.6)
    dark.save("dark.wav")

    for number, version in enumerate(
        loops.generate_all("techno drums 140bpm", kind="variation", bars=2, audio=drums, n=2)
    ):
        version.save(f"version_{number}.wav")
