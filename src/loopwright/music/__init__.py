"""Musical time and words: exact fractions, standard library only. Knows nothing of models, audio or HTTP."""
