"""What `enginewatch demo` is made of: a broker, the daemon and a fleet, each a process, and one screen."""
