"""Long runs: work cut into blocks, and outputs that a killed run goes on with."""
