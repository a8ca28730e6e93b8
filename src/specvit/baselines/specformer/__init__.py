"""AstroCLIP's spectrum encoder, SpecFormer, as a baseline (Parker et al. 2024, MNRAS 531, 4990).

Written anew from its paper and public code (github.com/PolymathicAI/AstroCLIP, MIT): what is fixed
there is named where it is used here.
"""
