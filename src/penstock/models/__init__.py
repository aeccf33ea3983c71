"""Chat models as agents: the port, prompts, gates, money, a response cache (floor 2).

The extra ``penstock[models]`` installs what they need.
"""
