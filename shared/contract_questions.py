"""The questions of the contract: request/reply on core NATS, answered by the worker that owns the state.

A part of `shared.contract`, through which everybody reads them.
"""

from typing import Any

from shared import messages as m
from shared.contract_kinds import Question, Role

BLOCKLIST_PROBE = Question(
    "revocation.probe",  # not under blocklist.: whoever hears the deltas would hear the questions (adr/0008)
    m.Probe,
    m.Freshness,
    asks=(Role.EDGE, Role.AUTH, Role.OPERATOR, Role.SERVICE),
    answers=(Role.REVOCATION,),
)
REVOCATION_RECEIPTS = Question(
    "revocation.receipts",
    m.ReceiptsRequest,
    m.ReceiptsAnswer,
    asks=(Role.AUTH, Role.OPERATOR),
    answers=(Role.REVOCATION,),
)
# Last token: the service's name. Asked of each that registered interest until it says done.
USER_ERASE = Question(
    "user.erase.*", m.EraseUser, m.EraseAnswer, asks=(Role.AUTH,), answers=(Role.SERVICE,)
)
# Operators' questions: op.<noun>.<verb>.
OP_REVOCATION_MATCH = Question(
    "op.revocation.match", m.MatchRequest, m.Match, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)
OP_EXPLAIN = Question(
    "op.token.explain", m.ExplainRequest, m.Explanation, asks=(Role.OPERATOR,), answers=(Role.EDGE,)
)
# The same, asked of one edge by its name.
OP_EXPLAIN_AT = Question(
    "op.token.explain.*",
    m.ExplainRequest,
    m.Explanation,
    asks=(Role.OPERATOR,),
    answers=(Role.EDGE,),
)
OP_EDGES_LIST = Question(
    "op.edges.list",
    m.ListEdges,
    m.EdgeList,
    asks=(
        Role.OPERATOR,
        Role.AUTH,
    ),  # auth serves the gateway no route that an edge does not know yet
    answers=(Role.REVOCATION,),
)
OP_USERS_SET = Question(
    "op.users.set", m.SetUser, m.UserState, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)
OP_USERS_SHOW = Question(
    "op.users.show", m.ShowUser, m.UserState, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)

OP_USERS_LIST = Question(
    "op.users.list", m.ListUsers, m.UserPage, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)
OP_USERS_ROLES = Question(
    "op.users.roles", m.SetRoles, m.UserState, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)
OP_USERS_IMPORT = Question(
    "op.users.import", m.ImportUsers, m.ImportReport, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)
OP_USERS_EXPORT = Question(
    "op.users.export", m.ExportUsers, m.ExportPage, asks=(Role.OPERATOR,), answers=(Role.AUTH,)
)
OP_DELETIONS_LIST = Question(
    "op.deletions.list",
    m.ListDeletions,
    m.DeletionPage,
    asks=(Role.OPERATOR,),
    answers=(Role.AUTH,),
)
OP_TOKENS_LIST = Question(
    "op.tokens.list",
    m.ListServiceTokens,
    m.ServiceTokenAnswer,
    asks=(Role.OPERATOR,),
    answers=(Role.AUTH,),
)
OP_TOKENS_CREATE = Question(
    "op.tokens.create",
    m.CreateServiceToken,
    m.ServiceTokenAnswer,
    asks=(Role.OPERATOR,),
    answers=(Role.AUTH,),
)
# Last token: the worker's role; and for edges, which are guests of the bus, its name.
OP_DOCTOR_FACTS = Question(
    "op.doctor.facts.*",
    m.AskFacts,
    m.WorkerFacts,
    asks=(Role.OPERATOR,),
    answers=(Role.AUTH, Role.MAILER, Role.REVOCATION),
)
OP_DOCTOR_EDGE = Question(
    "op.doctor.edge.*", m.AskFacts, m.WorkerFacts, asks=(Role.OPERATOR,), answers=(Role.EDGE,)
)

QUESTIONS: tuple[Question[Any, Any], ...] = (
    BLOCKLIST_PROBE,
    REVOCATION_RECEIPTS,
    USER_ERASE,
    OP_REVOCATION_MATCH,
    OP_EXPLAIN,
    OP_EXPLAIN_AT,
    OP_EDGES_LIST,
    OP_USERS_SET,
    OP_USERS_SHOW,
    OP_USERS_LIST,
    OP_USERS_ROLES,
    OP_USERS_IMPORT,
    OP_USERS_EXPORT,
    OP_DELETIONS_LIST,
    OP_TOKENS_LIST,
    OP_TOKENS_CREATE,
    OP_DOCTOR_FACTS,
    OP_DOCTOR_EDGE,
)
