"""Alerts as notices, and where they are sent: chat, pagers, webhooks, mail, the log."""
