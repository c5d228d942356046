"""The command line: what a person types and sees in the terminal. Nothing else imports it."""
