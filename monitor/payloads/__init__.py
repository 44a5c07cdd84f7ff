"""What comes in messages: one file a payload convention, behind `Reader` in `reading`. Pure.

A reader is given a message and what its topic said, and gives back readings by published names. What is wrong
becomes reasons, one a dead letter: a bad value does not spoil its message, and nothing that arrives can raise.
"""
