"""Looking at a study that runs and acting on it, from its process or another one (floor 6).

host_controls  what the process that runs a study does to it, through its runner
steering       what can be done to a study, each action an event on its bus and a row in its store
protocol       what is said between processes: JSON, a message a line
address        where a study that runs can be reached: a socket that only its user may use
controlled     what is asked of a study: where it stands, or that something is done to it
channel        the side of the study, which listens and answers
connection     the side of whoever looks or acts
"""
