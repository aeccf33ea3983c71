"""Chat models as agents: the port, prompts, gates, money, a response cache (floor 2).

The extra ``penstock[models]`` installs what they need.

    chat_model         the port: what is asked, what is answered, ``ChatModel``
    model_errors       why there is no answer, as one tree
    prompts            templates; request_template: a declared request, filled in for a run
    chat_agent         a declared model as an agent; declared: all of a study's
    calls              one call: budget, gate, client, accounts; cache: answers that are kept
    endpoints          what a study's models share; keys: where keys come from
    gate/              who may call next, how fast, for how much money
    openai/            endpoints that speak OpenAI's chat completions
    any_provider       endpoints that do not, through another library
    forecast           what a plan will be asked, and may cost
"""
