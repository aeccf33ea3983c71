"""Chat models as agents: the port, prompts, gates, money, a response cache (floor 2).

The extra ``penstock[models]`` installs what they need.

    chat_model         the port: what is asked, what is answered, ``ChatModel``
    model_errors       why there is no answer, as one tree
    prompts            templates; request_template: a declared request, filled in for a run
    requests           of the models that an agent or judge may ask; asking: with who sends them
    chat_agent         a declared model as an agent (tool_agent: with tools); declared: all of a
                       study's
    run_model          a model in the hands of an agent in Python; in_hand: what it can do
    calls              one call: given again, from the cache, or sent; sender: budget, gate,
                       accounts; cache: answers for all; kept_calls: every call, durable
    conversing         a conversation with tools, to its end
    tools              functions that a model may call; signatures, docstrings: what it is told of
                       them; tool_results: what it is told that they gave
    tool_servers       servers that have some; tool_session: one of them
    images             what messages show, read and counted
    sdk_transport      SDKs behind the gate; wire: what the formats that they speak have in common;
                       chat_wire, responses_wire, messages_wire, embeddings_wire: each of them
    endpoints          what a study's models share; clients: how they are asked; keys: where keys
                       come from; simulated: a provider within the session
    gate/              who may call next, how fast, for how much money
    openai/            endpoints that speak OpenAI's chat completions, and what is common to all
    anthropic/         endpoints that speak Anthropic's messages
    any_provider       endpoints that do not, through another library
    forecast           what a plan will be asked, and may cost
"""
