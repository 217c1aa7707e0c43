"""The HTTP doors of auth: JSON in the modules named *_routes, pages in page*. Thin: flows decide.

Of the pages, `pages` shows those of links and sessions and `page_actions` takes their forms; `page_accounts`
and `page_account_actions` register, log in by password and reset; `page_account` is the account, its password
and its end; `page_orgs`, `page_org_actions` and `page_invitations` are organisations. `page_routes` and
`page_account_routes` are the tables of routes; `page_continue` and `page_renewing` renew on the way. All share
`page_context`, `page_forms`, `page_entering`, `page_responses` and `page_errors`.
"""
