//! Who may do what: tokens, roles, permissions, and the teams that a token is narrowed to.

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq;
use tollgate_domain::{Name, TeamName};

use super::problem::Problem;
use crate::{
    config::file::{AdminToken, Role},
    sessions::{Hash, Resumed, hash},
};

/// True when the role may. No `_` arm: a new permission does not compile until someone has decided
/// who has it.
const fn grants(role: Role, permission: Permission) -> bool {
    match permission {
        Permission::BeKnown | Permission::ReadDocument | Permission::ReadSpend => true,
        Permission::ReadAllocation => matches!(role, Role::Admin | Role::Finance | Role::Viewer),
        Permission::Export
        | Permission::RaiseBudgets
        | Permission::Reconcile
        | Permission::ReadStatements
        | Permission::CloseMonth
        | Permission::Correct => matches!(role, Role::Admin | Role::Finance),
        Permission::ReadFleet | Permission::ReadConfig | Permission::ReadAudit | Permission::ReadDrills => {
            matches!(role, Role::Admin | Role::Operator | Role::Viewer)
        }
        Permission::Operate | Permission::Reload | Permission::RunDrills => {
            matches!(role, Role::Admin | Role::Operator)
        }
        Permission::ReadKeys | Permission::ManageKeys | Permission::ChangeConfig => {
            matches!(role, Role::Admin)
        }
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Operator => "operator",
        Role::Finance => "finance",
        Role::Viewer => "viewer",
    }
}

/// What a route needs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Permission {
    BeKnown,
    ReadDocument,
    ReadSpend,
    ReadAllocation,
    Export,
    RaiseBudgets,
    Reconcile,
    ReadStatements,
    CloseMonth,
    Correct,
    ReadFleet,
    Operate,
    ReadConfig,
    Reload,
    ChangeConfig,
    ReadAudit,
    ReadKeys,
    ManageKeys,
    ReadDrills,
    RunDrills,
}

impl Permission {
    /// Every permission.
    pub(super) const ALL: [Self; 20] = [
        Self::BeKnown,
        Self::ReadDocument,
        Self::ReadSpend,
        Self::ReadAllocation,
        Self::Export,
        Self::RaiseBudgets,
        Self::Reconcile,
        Self::ReadStatements,
        Self::CloseMonth,
        Self::Correct,
        Self::ReadFleet,
        Self::Operate,
        Self::ReadConfig,
        Self::Reload,
        Self::ChangeConfig,
        Self::ReadAudit,
        Self::ReadKeys,
        Self::ManageKeys,
        Self::ReadDrills,
        Self::RunDrills,
    ];

    /// The name in `GET /me`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BeKnown => "be_known",
            Self::ReadDocument => "read_document",
            Self::ReadSpend => "read_spend",
            Self::ReadAllocation => "read_allocation",
            Self::Export => "export",
            Self::RaiseBudgets => "raise_budgets",
            Self::Reconcile => "reconcile",
            Self::ReadStatements => "read_statements",
            Self::CloseMonth => "close_month",
            Self::Correct => "correct",
            Self::ReadFleet => "read_fleet",
            Self::Operate => "operate",
            Self::ReadConfig => "read_config",
            Self::Reload => "reload",
            Self::ChangeConfig => "change_config",
            Self::ReadAudit => "read_audit",
            Self::ReadKeys => "read_keys",
            Self::ManageKeys => "manage_keys",
            Self::ReadDrills => "read_drills",
            Self::RunDrills => "run_drills",
        }
    }

    /// Whether a token that is narrowed to teams may have it: only where the answer can be narrowed.
    const fn can_be_narrowed(self) -> bool {
        matches!(
            self,
            Self::BeKnown
                | Self::ReadDocument
                | Self::ReadSpend
                | Self::Export
                | Self::ReadStatements
                | Self::ReadKeys
                | Self::ManageKeys
        )
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeKnown => "be told who it is",
            Self::ReadDocument => "read the API's description",
            Self::ReadSpend => "read usage, requests and budgets",
            Self::ReadAllocation => "read what all teams bear",
            Self::Export => "take exports",
            Self::RaiseBudgets => "raise budgets",
            Self::Reconcile => "reconcile invoices",
            Self::ReadStatements => "read statements",
            Self::CloseMonth => "close months",
            Self::Correct => "correct what was charged",
            Self::ReadFleet => "read regions, upstreams and targets",
            Self::Operate => "change regions, upstreams and targets",
            Self::ReadConfig => "read the configuration",
            Self::Reload => "reload or validate the configuration",
            Self::ChangeConfig => "change the configuration",
            Self::ReadAudit => "read the audit",
            Self::ReadKeys => "read keys",
            Self::ManageKeys => "manage keys",
            Self::ReadDrills => "read drills",
            Self::RunDrills => "run drills",
        })
    }
}

/// Who may open a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Access {
    /// Anyone who reaches the listener.
    Open,
    /// A token whose role grants it.
    Needs(Permission),
}

/// The caller that an `authorization` header names.
pub(super) fn identify(tokens: &[AdminToken], authorization: Option<&[u8]>) -> Result<Caller, Problem> {
    if tokens.is_empty() {
        return Err(Problem::unauthorized(
            "no token is configured, so nobody may use the admin API: add one under admin.tokens and reload",
        ));
    }
    let presented = authorization.and_then(bearer_token).ok_or_else(|| {
        Problem::unauthorized("no token: send one of admin.tokens as `authorization: Bearer TOKEN`")
    })?;
    find(tokens, presented).map(Caller::of).ok_or_else(|| Problem::unauthorized("unknown token"))
}

/// The caller that a session stands for: the holder of its token, with the rights that it has today.
pub(super) fn identify_session(tokens: &[AdminToken], session: Resumed) -> Result<Caller, Problem> {
    let token = with_hash(tokens, &session.token)
        .ok_or_else(|| Problem::unauthorized("the token of this session is no longer configured"))?;
    Ok(Caller { session: Some(session), ..Caller::of(token) })
}

/// The token with this text.
pub(super) fn find<'a>(tokens: &'a [AdminToken], presented: &[u8]) -> Option<&'a AdminToken> {
    with_hash(tokens, &hash(presented))
}

/// Digests of all tokens are compared, so that the time tells neither which one nor how much of it was
/// equal, nor how long it is.
fn with_hash<'a>(tokens: &'a [AdminToken], wanted: &Hash) -> Option<&'a AdminToken> {
    tokens.iter().fold(None, |found, known| {
        let equal = hash(known.token.0.expose()).ct_eq(wanted);
        if bool::from(equal) { Some(known) } else { found }
    })
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}

/// Who is calling.
#[derive(Clone)]
pub(super) struct Caller {
    /// The token's name.
    pub(super) name: Name,
    /// The session that the call came by, if it brought no token of its own.
    pub(super) session: Option<Resumed>,
    role: Role,
    teams: Option<Arc<[TeamName]>>,
}

impl Caller {
    fn of(token: &AdminToken) -> Self {
        let scope = token.scope.as_ref();
        let teams = scope.map(|scope| scope.teams.iter().map(|team| TeamName::from(team.as_str())).collect());
        Self { name: token.name.as_str().into(), session: None, role: token.role, teams }
    }

    pub(super) const fn role_name(&self) -> &'static str {
        role_name(self.role)
    }

    /// The teams that the token is narrowed to.
    pub(super) fn teams(&self) -> Option<&[TeamName]> {
        self.teams.as_deref()
    }

    /// Refuses what the role or the narrowing does not allow.
    pub(super) fn may(&self, permission: Permission) -> Result<(), Problem> {
        if !grants(self.role, permission) {
            return Err(Problem::forbidden(format!("role {} may not {permission}", role_name(self.role))));
        }
        if self.teams.is_some() && !permission.can_be_narrowed() {
            return Err(Problem::forbidden(format!("a token with a scope of teams may not {permission}")));
        }
        Ok(())
    }

    /// The teams that an answer is about, given the one that was asked for; empty means all teams.
    ///
    /// # Errors
    /// The token does not see the team. Whether the team exists is not told.
    pub(super) fn narrow(&self, asked: Option<TeamName>) -> Result<Vec<TeamName>, Problem> {
        match (&self.teams, asked) {
            (None, asked) => Ok(asked.into_iter().collect()),
            (Some(teams), None) if !teams.is_empty() => Ok(teams.to_vec()),
            (Some(teams), Some(team)) if teams.contains(&team) => Ok(vec![team]),
            (Some(_), _) => Err(Problem::forbidden("this token does not see that team")),
        }
    }

    /// True when the token is not narrowed to teams.
    pub(super) fn sees_all(&self) -> bool {
        self.teams.is_none()
    }

    /// True when the token sees what belongs to the team.
    pub(super) fn sees(&self, team: &str) -> bool {
        self.teams.as_ref().is_none_or(|teams| teams.iter().any(|seen| seen.as_str() == team))
    }
}

#[cfg(test)]
mod tests {
    use tollgate_domain::Secret;

    use super::*;
    use crate::config::file::SecretText;

    const ROLES: [Role; 4] = [Role::Admin, Role::Operator, Role::Finance, Role::Viewer];

    fn caller(role: Role, teams: Option<&[&str]>) -> Caller {
        let teams = teams.map(|teams| teams.iter().map(|team| TeamName::from(*team)).collect());
        Caller { name: "someone".into(), session: None, role, teams }
    }

    #[test]
    fn roles_may_what_the_contract_gives_them() {
        use Permission::*;
        let cases: [(Permission, &[Role]); 9] = [
            (ReadSpend, &ROLES),
            (RaiseBudgets, &[Role::Admin, Role::Finance]),
            (Export, &[Role::Admin, Role::Finance]),
            (Reconcile, &[Role::Admin, Role::Finance]),
            (CloseMonth, &[Role::Admin, Role::Finance]),
            (ReadFleet, &[Role::Admin, Role::Operator, Role::Viewer]),
            (Operate, &[Role::Admin, Role::Operator]),
            (Reload, &[Role::Admin, Role::Operator]),
            (ReadKeys, &[Role::Admin]),
        ];
        for (permission, allowed) in cases {
            for role in ROLES {
                let granted = caller(role, None).may(permission).is_ok();
                assert_eq!(granted, allowed.contains(&role), "{role:?} {permission:?}");
            }
        }
    }

    #[test]
    fn a_scope_narrows_any_role_to_its_teams() {
        let admin = caller(Role::Admin, Some(&["retail"]));
        assert!(admin.may(Permission::ReadSpend).is_ok());
        assert!(admin.may(Permission::Operate).is_err() && admin.may(Permission::CloseMonth).is_err());
        assert!(admin.may(Permission::RaiseBudgets).is_err(), "a team's own token raises no budget");
        assert_eq!(admin.narrow(None).expect("its own"), ["retail".into()]);
        assert_eq!(admin.narrow(Some("retail".into())).expect("its own"), ["retail".into()]);
        assert!(admin.narrow(Some("hr".into())).is_err());
        assert!(admin.sees("retail") && !admin.sees("hr"));
        let nobody = caller(Role::Admin, Some(&[]));
        assert!(nobody.narrow(None).is_err(), "an empty scope sees nothing, not everything");
    }

    #[test]
    fn a_token_is_found_by_its_text_alone() {
        let token = |name: &str, text: &str| AdminToken {
            name: name.into(),
            role: Role::Viewer,
            scope: None,
            token: SecretText(Secret::new(text.to_owned())),
        };
        let tokens = [token("a", "first-token-of-all"), token("b", "second-token-of-all")];
        let name = |header: &str| {
            identify(&tokens, Some(header.as_bytes())).map(|caller| caller.name.to_string()).ok()
        };
        assert_eq!(name("Bearer second-token-of-all").as_deref(), Some("b"));
        assert_eq!(name("bearer first-token-of-all").as_deref(), Some("a"));
        for wrong in ["", "Bearer", "Bearer ", "Bearer first-token-of-al", "Basic first-token-of-all"] {
            assert_eq!(name(wrong), None, "{wrong:?}");
        }
        assert!(identify(&[], Some(b"Bearer ")).is_err());
    }
}
