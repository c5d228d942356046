"""Long jobs: many films with one engine."""
