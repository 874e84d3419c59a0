"""How a bot says it: traces, stages, decisions, gates and facts over OpenTelemetry's API. Never raises into the bot."""
