"""Long hunts through simulated runs: schedules of faults, an oracle, shrinking and replay."""
