"""Append to a session's log, and tell the watchers once it is committed. The log is the truth; watchers only hear a bell.

Every kind, with its payload. All readers (timeline, figures, mining, resume, API, pages) rest on this list. `call_id` is
"turn.index" (turns from 1, indices from 0); `job` is a ToolJob's id as text; times are in the row's own `at`.

session_queued     {agent, task, arm, model, scripted}
session_started    {attempt, owner}            session_resumed {attempt, owner}
user_said          {text}                      the task itself is the first
turn_started       {turn, attempt}             the request to the model is sent
first_token        {turn}
tool_named         {turn, index, tool}
arguments_sealed   {turn, index, call_id, tool}
turn_ended         {turn, text, calls: [{call_id, tool, arguments, provider_call_id, problem}], finish_reason, usage}
predicted          {turn, candidates: [{tool, arguments, probability, utility, pattern, verdict, job?}],
                    abstained: [{tool, reason}]}           verdict: "admitted" or a refusal's reason
job_queued         {job, tool, arguments, effect, speculative, call_id?, epoch, probability?, utility?, pattern?, sources?}
job_started        {job, attempt}
job_ended          {job, status: succeeded|failed, ok, run_seconds, speculative}
job_preempted      {job, reason}               the row is given up at once; job_released tells when its worker let go
job_released       {job}
job_discarded      {job, reason: miss|expired|invalidated|revoked|session_ended}
job_retried        {job, reason}
call_asked         {call_id, turn, tool, arguments, effect, job, outcome: used|joined|raised|requested, reason}
                    used: a finished speculation served it; joined: a running one; raised: a queued one; requested: none,
                    and `reason` says why ("not predicted", "expired", "world changed", "writes: not eligible", ...)
call_returned      {call_id, turn, tool, job, ok, content, structured, unknown_outcome}
epoch_stepped      {epoch, call_id}
session_ended      {status, answer, error}
"""
