"""Make a loop, look at it, and save it in two formats."""

import loopwright

loop = loopwright.generate("house drum loop 124bpm", bars=2, seed=7)

print(f"{loop.audio.shape[1]} samples of stereo at {loop.sample_rate} Hz: {loop.duration:.3f} s")
print(f"the largest jump at the seam is {loop.metadata['seam']['jump']:.2f} times the usual one")

loop.save("house.wav")
loop.save("house.mp3")
