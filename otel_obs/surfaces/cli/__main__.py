"""`python -m otel_obs.surfaces.cli`: the command line without its installed script."""

from otel_obs.surfaces.cli import main

main()
