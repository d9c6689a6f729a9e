"""Speed as ratios, each measured in one run on one machine; never a test that passes or fails."""
