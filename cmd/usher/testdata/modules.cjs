console.log(process.env.NODE_PATH);
