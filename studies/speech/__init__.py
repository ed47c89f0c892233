"""The recognisers and the keyword spotters in the package: error rates, delays, false alarms."""
