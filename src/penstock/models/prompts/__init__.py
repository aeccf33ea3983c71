"""What a model is asked: templates, messages, images, and what a plan of them comes to."""
