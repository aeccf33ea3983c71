"""The watchdog: sees when the event loop stands still, and whose code it stands still in."""
