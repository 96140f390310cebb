//! Which sources of a target a backup takes.

/// Which sources of a target a backup takes: those that the type and the components name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// `full` and `incremental`: all; `workflows`, `database`: those; `config`: configuration and credentials.
    pub backup_type: String,
    /// Only these components; empty: what the type says.
    pub components: Vec<String>,
    /// Only this workflow.
    pub workflow: Option<String>,
}

impl Default for Selection {
    fn default() -> Self {
        Self { backup_type: "full".to_owned(), components: Vec::new(), workflow: None }
    }
}

impl Selection {
    /// Whether it takes a component.
    pub fn takes(&self, component: &str) -> bool {
        if self.workflow.is_some() {
            return component == "workflows";
        }
        of_type(&self.backup_type, component)
            && (self.components.is_empty() || self.components.iter().any(|c| of_type(c, component)))
    }

    /// What was asked for, for people.
    pub(crate) fn shown(&self) -> String {
        match (&self.workflow, &*self.components) {
            (Some(workflow), _) => format!("workflow {workflow}"),
            (None, []) => self.backup_type.clone(),
            (None, components) => components.join(", "),
        }
    }
}

/// Whether a type or the name of a component takes a component: credentials go with the configuration.
fn of_type(wanted: &str, component: &str) -> bool {
    match wanted {
        "full" | "incremental" => true,
        "config" => matches!(component, "config" | "credentials"),
        one => component == one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_with_the_configuration_and_a_workflow_is_nothing_else() {
        let of = |backup_type: &str| Selection { backup_type: backup_type.into(), ..Selection::default() };
        assert!(of("config").takes("credentials") && !of("config").takes("database"));
        assert!(of("incremental").takes("agents") && of("database").takes("database"));
        let two = Selection { components: vec!["database".into(), "config".into()], ..Selection::default() };
        assert!(two.takes("credentials") && two.takes("database") && !two.takes("workflows"));
        let one = Selection { workflow: Some("w1".into()), ..Selection::default() };
        assert!(one.takes("workflows") && !one.takes("config"));
    }
}
