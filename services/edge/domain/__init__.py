"""Pure decisions: given a request, its route, its token and the time, may it pass?"""
