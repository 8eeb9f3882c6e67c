"""End-to-end encryption between people, by vodozemac (Olm, Megolm): no cryptography of our own, nothing about rooms.

vodozemac draws its own randomness: the one place below the rim where chance is not an argument. Nothing that decides
may depend on the bytes it makes; lengths are the same in every run, so a simulated network still replays.
Sources: the Olm and Megolm specifications of the Matrix project.
"""
