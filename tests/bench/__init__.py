"""Measures impcert beside other workers that do the same job, on the same Kafka, MongoDB and simulator."""
