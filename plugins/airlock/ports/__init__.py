"""The outside world as protocols in domain types. Every adapter and its fake pass one contract test."""
