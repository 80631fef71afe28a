use super::*;
use crate::external_scaler::testing::World;

fn id(name: &str) -> AppId {
    AppId::new("default", name)
}

fn of(apps: &Apps, name: &str) -> Result<String, String> {
    apps.of_object(&id(name)).map(|app| app.id().to_string()).map_err(|none| none.to_string())
}

#[tokio::test]
async fn a_scaled_object_is_of_the_app_of_its_name_or_of_its_targets() {
    let world = World::new(&["shop", "cart"]);
    let apps = Apps::new(world.registry.clone());
    assert_eq!(of(&apps, "shop"), Ok("default/shop".to_owned()));
    assert_eq!(of(&apps, "cart-deployment"), Ok("default/cart".to_owned()));
    world.declare(&["shop"], |_| {});
    let said = of(&apps, "cart-deployment").unwrap_err();
    assert!(
        said.starts_with("no app `default/cart-deployment` is declared, and none has a target of that name"),
        "{said}"
    );
    world.declare(&["cart"], |_| {});
    assert_eq!(of(&apps, "cart-deployment"), Ok("default/cart".to_owned()), "what is declared anew is found");
}

#[tokio::test]
async fn an_app_that_is_not_there_is_named_and_those_that_may_be_meant() {
    let world = World::new(&["shop", "cart"]);
    let apps = Apps::new(world.registry.clone());
    let said = |id: AppId| apps.get(&id).map(|app| app.id().to_string()).unwrap_err().to_string();
    assert_eq!(said(id("shpo")), "no app `default/shpo` is declared; did you mean `default/shop`?");
    assert_eq!(said(AppId::new("prod", "cart")), "no app `prod/cart` is declared; did you mean `default/cart`?");
    assert_eq!(said(id("warehouse")), "no app `default/warehouse` is declared");
}

#[test]
fn few_of_many_are_named() {
    let many: Vec<_> = (0..9).map(|n| id(&format!("a{n}"))).collect();
    assert_eq!(list(&many), "`default/a0`, `default/a1`, `default/a2`, `default/a3`, `default/a4`, …");
}
