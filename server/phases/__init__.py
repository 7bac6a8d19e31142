"""What a run consists of: one file a phase, each `run(context) -> RunContext`."""
