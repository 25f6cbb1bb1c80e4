"""Real servers on this machine, without Docker, root, Maven or a JDK.

Each server is a module with a `started(folder)` context manager; the servers
listen on 127.0.0.1 only, keep all their files below the given folder, and are
gone when the context ends or when the process that started them is.
"""
