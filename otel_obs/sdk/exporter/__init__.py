"""How encoded records reach the receiver: the way there, the thread that walks it, and what it does when refused."""
