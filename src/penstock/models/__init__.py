"""Chat models as agents (extra ``penstock[models]``): endpoints, gates, money, a response cache."""
