"""Tests by need: unit, contract, integration, acceptance."""
