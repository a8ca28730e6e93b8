"""What each stage of specvit costs; where there is a naive way, beside it."""
