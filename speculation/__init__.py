"""Remembers and runs: tables, the job state machine, scheduler, worker, session runtime. engine/ decides, agent/ asks."""
