"""Looking at a study that runs and acting on it, from its process or another one (floor 6).

steering   what can be done to a study, each action an event on its bus and a row in its store
"""
