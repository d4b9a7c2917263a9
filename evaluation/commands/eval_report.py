"""`taximeter eval report`: what a run found out."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", metavar="RUN")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return 0
