"""What a plant publishes, found out from messages that were captured: pure, messages in and findings out."""
