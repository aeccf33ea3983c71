"""What listens to a study: each subscriber a coroutine over events, alone in its file."""
