"""Tells other systems what the cameras see and how they are: MQTT, webhooks, notifications, metrics, logs, systemd."""
