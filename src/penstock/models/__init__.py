"""Chat models as agents: the port, prompts, gates, money, a response cache (floor 2).

The extra ``penstock[models]`` installs what they need. Begin with `chat_model`, the port: what is
asked, what is answered, ``ChatModel``; `model_errors` is why there is no answer, as one tree, and
`endings` why there is no more of it. `declared` makes all models of a study, `chat_agent` one that
is an agent itself.

    prompts/        what is asked: templates, messages, images, and what a plan of them may cost
    conversations/  a model in the hands of an agent in Python, its tools, and servers of tools
    calls/          one call: given again, from the cache, or sent; and kept
    sdk/            the transport that SDKs are given, and the formats that they speak
    gate/           who may call next, how fast, for how much money
    openai/         endpoints that speak OpenAI's chat completions, and what is common to all
    anthropic/      endpoints that speak Anthropic's messages

`endpoints` is what a study's models share while it runs, `clients` how they are asked, `keys` where
keys come from. `providers` are those that packages bring, `any_provider` those of another library,
and `simulated` one within the session.
"""
